<?php
$attack = static function (object $given): mixed {
    chdir($given->drop);
    return getcwd();
};
