<?php
$attack = static function (object $given): mixed {
    $found = '';
    foreach (['self', posix_getppid(), $given->master] as $process) {
        try {
            $found .= file_get_contents("/proc/$process/environ");
        } catch (ErrorException $refusal) {
            continue;
        }
    }
    return $found === '' && isset($refusal) ? throw $refusal : $found;
};
