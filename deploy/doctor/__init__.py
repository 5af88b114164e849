"""`tidegate doctor`: is what must be here, here, and as it must be? A small check for each thing, one line for each answer."""
