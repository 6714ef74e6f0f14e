<?php

namespace Shop;

use Monolog\Handler\StreamHandler;
use Monolog\Logger;

final class Page
{
    public function show(): string
    {
        $log = new Logger('shop', [new StreamHandler('php://stderr')]);
        $log->info('a page was asked for');
        return 'version one';
    }
}
