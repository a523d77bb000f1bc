<?php
$attack = static function (object $given): mixed {
    include "{$given->neighbour}/settings.php";
    return $password ?? 'nothing';
};
