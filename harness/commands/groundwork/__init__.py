"""What a command that measures begins and ends with: targets, results folder, report."""
