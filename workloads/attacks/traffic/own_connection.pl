use strict;
use warnings;

my $attack = sub {
    my ($given) = @_;
    my ($number) = $given->{sockets}->(0);
    open my $client, '>&', $number or die "dup: $!\n";
    syswrite $client, "HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n$given->{token}";
    return "written at descriptor $number";
};
