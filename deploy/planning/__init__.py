"""`tidegate plan`: what a deployment needs for a number of instruments and events, from what was measured."""
