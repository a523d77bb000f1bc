"""What accepts connections and answers requests."""
