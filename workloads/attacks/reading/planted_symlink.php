<?php
$attack = static function (object $given): mixed {
    $link = "{$given->drop}/link";
    symlink("{$given->neighbour}/config.secret", $link);
    return file_get_contents($link);
};
