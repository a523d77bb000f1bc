"""From what was seen of a trial to its row. Pure."""
