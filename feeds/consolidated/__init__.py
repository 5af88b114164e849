"""US consolidated trades and quotes (the tape of the SIPs), in the tick files of QuantConnect Lean."""
