"""The commands that check whether host and harness are fit to measure."""
