"""Other engines' pre-trade checks, each run by its own interpreter, and the loop that times them and ours alike."""
