<?php
$attack = static function (object $given): mixed {
    return scandir($given->neighbour);
};
