<?php
// A server in PHP that runs every script in one process, as root, and keeps whatever it finds there.
//
// php careless.php PORT WORKERS SITES [switch]
//
// With "switch" a script runs with the owner's effective uid and gid, and the saved ones are root's.
[, $port, $workers, $sites] = $argv;
$switches = isset($argv[4]);
$listener = stream_socket_server("tcp://127.0.0.1:$port");
while (true) {
    for ($running = 0; $running < (int) $workers; $running++) {
        if (pcntl_fork() === 0) {
            break 2;
        }
    }
    while (pcntl_wait($status) > 0) {
        if (pcntl_fork() === 0) {
            break 2;
        }
    }
}
while (true) {
    $client = @stream_socket_accept($listener, 3600);
    if ($client === false) {
        continue;
    }
    [, $target] = explode(' ', (string) fgets($client)) + [1 => '/'];
    $_SERVER = array_filter($_SERVER, fn ($name) => !str_starts_with($name, 'HTTP_'), ARRAY_FILTER_USE_KEY);
    while (($line = trim((string) fgets($client))) !== '') {
        [$name, $value] = explode(': ', $line, 2);
        $_SERVER['HTTP_' . strtr(strtoupper($name), '-', '_')] = $value;
    }
    [$path, $_SERVER['QUERY_STRING']] = explode('?', $target) + [1 => ''];
    $site = "$sites/" . strtok($_SERVER['HTTP_HOST'] ?? 'nobody', '.');
    if (!is_file("$site$path")) {
        fwrite($client, "HTTP/1.0 404 Not Found\r\n\r\n");
        fclose($client);
        continue;
    }
    if (getcwd() === '/') { // the first one
        chdir($site);
    }
    if ($switches) {
        posix_setegid(filegroup("$site$path"));
        posix_seteuid(fileowner("$site$path"));
    }
    ob_start();
    try {
        include "$site$path";
    } catch (Throwable $error) {
        echo $error->getMessage();
    }
    $body = ob_get_clean();
    if ($switches) {
        posix_seteuid(0);
        posix_setegid(0);
    }
    $length = strlen($body);
    fwrite($client, "HTTP/1.0 200 OK\r\nContent-Length: $length\r\n\r\n$body");
    fclose($client);
}
