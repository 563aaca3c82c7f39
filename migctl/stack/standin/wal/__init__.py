"""The write-ahead log: logical decoding by pgoutput, streamed over a temporary slot."""
