"""The live half of the API: what the topics say now, kept in memory and told to whoever listens."""
