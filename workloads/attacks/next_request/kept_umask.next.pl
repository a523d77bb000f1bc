use strict;
use warnings;

print "Content-Type: text/plain\n\n", 'umask 0o', sprintf '%o', umask 022, "\n";
