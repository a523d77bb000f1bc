<?php
header('Content-Type: text/plain');
echo 'umask 0o', decoct(umask(022));
