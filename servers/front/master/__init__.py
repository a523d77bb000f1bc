"""The prefork master: starts workers, watches and replaces them, adds up what they have used."""
