# The neighbour's script at work, in Perl: holds its secret in memory and its file open, until it is
# released.
use strict;
use warnings;
use Time::HiRes ();

my $site = __FILE__ =~ s{/[^/]+$}{}r;
open my $file, '<', "$site/config.secret" or die "config.secret: $!\n";
my $secret = do { local $/; <$file> };
my $request = $ENV{HTTP_X_PLANTED} // '';
my $deadline = Time::HiRes::time() + 30;
Time::HiRes::sleep(0.01) while !-e "$site/data/go" && Time::HiRes::time() < $deadline;
print "Content-Type: text/plain\n\nlingered ", length($secret) + length($request), "\n";
