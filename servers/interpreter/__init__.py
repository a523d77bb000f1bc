"""How a script runs: as a CGI program, in the embedded interpreter, in a forked child."""
