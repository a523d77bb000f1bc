use strict;
use warnings;

print "Content-Type: text/plain\n\n";
kill WINCH => $$;
print "page\n";
