use strict;
use warnings;
use Time::HiRes ();

my $end = Time::HiRes::time() + 0.3;
1 while Time::HiRes::time() < $end;
print "Content-Type: text/plain\n\nbusy\n";
