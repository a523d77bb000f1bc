<?php
include 'settings.php';
header('Content-Type: text/plain');
echo 'connected with ', strlen($password), ' characters';
