"""The demonstration: one scenario through the whole loop, told as it happens, checked at the end."""
