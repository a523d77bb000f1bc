<?php
$attack = static function (object $given): mixed {
    // The neighbour's script reads the one in its own directory, which is where the link is.
    file_put_contents("{$given->drop}/config.secret", "the attacker's own");
    symlink("{$given->neighbour}/witness.php", "{$given->drop}/borrowed.php");
    return 'planted';
};
