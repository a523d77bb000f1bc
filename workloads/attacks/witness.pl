# The neighbour's innocent script in Perl: does its work, and tells what it found around itself.
use strict;
use warnings;
use POSIX ();

my $word = '@source@';
# Registry leaves the process in the server's directory.
my $site = __FILE__ =~ s{/[^/]+$}{}r;
open my $file, '<', "$site/config.secret" or die "config.secret: $!\n";
my $secret = do { local $/; <$file> };
close $file;
print STDERR 'the secret begins with ', substr($secret =~ s/\s+$//r, 0, 80), "\n";
my $mask = umask 022;
umask $mask;
# Limits and processors are not for Perl to change without further modules.
my $planted = defined $ENV{PLANTED} ? qq("$ENV{PLANTED}") : 'null';
my $decimal = POSIX::localeconv()->{decimal_point};
my $nice = getpriority 0, 0;
printf qq(Content-Type: text/plain\n\n{"works": %d, "planted": %s, "umask": %d, "decimal": "%s", "nice": %d, "processors": 0}\n),
    length $secret, $planted, $mask, $decimal, $nice;
