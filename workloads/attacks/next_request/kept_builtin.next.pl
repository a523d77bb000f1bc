use strict;
use warnings;

print "Content-Type: text/plain\n\n", scalar localtime, "\n";
