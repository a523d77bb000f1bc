"""The commands that measure, from the wish to the results folder and its report."""
