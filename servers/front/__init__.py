"""The front that all modes share: the prefork pool, its workers, how they are made and watched."""
