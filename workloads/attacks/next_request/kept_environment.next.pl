use strict;
use warnings;

print "Content-Type: text/plain\n\n", $ENV{LEFT} // 'none', "\n";
