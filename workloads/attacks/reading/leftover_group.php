<?php
$attack = static function (object $given): mixed {
    return file_get_contents("{$given->site}/group.secret");
};
