<?php
header('Content-Type: text/plain');
echo getcwd();
