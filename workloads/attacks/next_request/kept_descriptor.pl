use strict;
use warnings;

my $attack = sub {
    my ($given) = @_;
    require POSIX;
    open my $file, '+>', "$given->{drop}/left" or die "open: $!\n";
    syswrite $file, $given->{token};
    POSIX::dup2(fileno $file, 99) or die "dup2: $!\n";
    return 'open';
};
