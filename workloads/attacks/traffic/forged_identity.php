<?php
$attack = static function (object $given): mixed {
    $uid = $given->neighbour_uid;
    return "isobench tenant=t0002 uid=$uid gid=$uid groups=";
};
