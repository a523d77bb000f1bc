use strict;
use warnings;
sleep 1;
print "Content-Type: text/plain\n\nslow";
