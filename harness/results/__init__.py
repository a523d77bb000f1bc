"""The results folder: the contract between the harness, the reports and other people's tools."""
