"""What trials say to one question each: a page, a product, the parts of a mode."""
