use strict;
use warnings;

our %session;
$session{user} = $ENV{HTTP_COOKIE} if defined $ENV{HTTP_COOKIE};
print "Content-Type: text/plain\n\nwelcome ", $session{user} // 'stranger', "\n";
