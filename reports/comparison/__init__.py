"""Two runs side by side: for the terminal, as Markdown, CSV and JUnit XML."""
