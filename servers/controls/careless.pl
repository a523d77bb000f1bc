# A server in Perl that runs every script in one process, as root, and keeps whatever it finds there.
#
# perl careless.pl PORT WORKERS SITES
#
# A script is compiled once, into a package that is named as ModPerl::Registry would.
use strict;
use warnings;
use IO::Socket::INET;

my ($port, $workers, $sites) = @ARGV;
my $listener = IO::Socket::INET->new(
    LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 64, ReuseAddr => 1,
) or die "listen: $!\n";
my ($running, $worker) = (0, 0);
until ($worker) {
    if ($running == $workers) {
        wait;
        $running--;
    }
    $worker = !fork;
    $running++;
}
my %modified;
while (1) {
    my $client = $listener->accept or next;
    my (undef, $target) = split ' ', <$client> // next;
    delete @ENV{grep { /^HTTP_/ } keys %ENV};
    while ((my $line = <$client>) =~ /^([^:]+): (.*?)\r?$/) {
        $ENV{'HTTP_' . uc $1 =~ tr/-/_/r} = $2;
    }
    (my $path, $ENV{QUERY_STRING}) = split /\?/, $target;
    my ($tenant) = split /\./, $ENV{HTTP_HOST} // 'nobody';
    my $file = "$sites/$tenant$path";
    my $body = '';
    if (open my $script, '<', $file) {
        my $name = join '_', grep { length } split m{/}, $file;
        $name =~ s/([^A-Za-z0-9_])/sprintf '_%2x', ord $1/eg;
        my $package = "ModPerl::ROOT::ModPerl::Registry::$name";
        my $when = join ' ', (stat $file)[7, 9];
        if (($modified{$file} // '') ne $when) {
            my $text = do { local $/; <$script> };
            no warnings;
            eval qq{package $package; no strict; no warnings; sub handler {local \$0 = '$file';\n#line 1 $file\n$text\n}};
            print STDERR $@ if $@;
            $modified{$file} = $when;
        }
        open my $page, '>', \$body or die "page: $!\n";
        my $usual = select $page;
        no strict 'refs';
        eval { &{"${package}::handler"}(); 1 } or print STDERR $@;
        select $usual;
        close $page;
    }
    my (undef, $content) = split /\n\n/, $body, 2;
    if (defined $content) {
        print {$client} 'HTTP/1.0 200 OK', "\r\nContent-Length: ", length $content, "\r\n\r\n$content";
    } else {
        print {$client} "HTTP/1.0 404 Not Found\r\n\r\n";
    }
    close $client;
}
