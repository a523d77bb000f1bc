"""What each command of `isobench` does. The only room that imports reports."""
