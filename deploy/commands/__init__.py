"""One file per subcommand; each has ``command``."""
