"""What happens before the master serves: what was inherited is reset, namespaces are entered."""
