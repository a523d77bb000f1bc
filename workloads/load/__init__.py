"""The load: Locust users on a lean client, closed or open, and what they record."""
