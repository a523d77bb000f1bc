"""The commands that serve or load until they are stopped."""
