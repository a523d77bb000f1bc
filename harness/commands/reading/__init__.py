"""The commands that read results folders: show, compare, pack, and measure again in doubt."""
