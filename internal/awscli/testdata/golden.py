"""Asks the AWS CLI (Python package awscli) what it makes of flags and values.

Run in this folder to make ../aws.txt, shorthand.json, commands.json and queries.json again:
    python3 golden.py
Nothing is sent: each command line is stopped before its request is signed.
"""
import argparse, base64, io, json, os, re, shlex, sys

sys.argv = ['aws']
os.environ.update(AWS_DEFAULT_REGION='us-east-1', AWS_ACCESS_KEY_ID='none', AWS_SECRET_ACCESS_KEY='none')
import awscli, botocore.client, jmespath
from awscli.clidriver import create_clidriver
from awscli.formatter import get_formatter
from awscli.shorthand import ShorthandParser

HEAD = '''# The flags of `aws ec2`, one action a line, ! after those that are required.
# From the argument tables of the AWS CLI with botocore's ec2 model of 2016-11-15
# (awscli %s), customisations included. Global options are left out.
'''
GLOBAL = {'cli-input-json', 'generate-cli-skeleton', 'starting-token', 'page-size', 'max-items', 'help'}


def flags(driver):
    table = driver._get_command_table()['ec2']._get_command_table()
    names = re.findall(r'^([a-z0-9-]+):', open('../aws.txt').read(), re.M)
    with open('../aws.txt', 'w') as out:
        out.write(HEAD % awscli.__version__)
        for name in sorted(set(names)):
            op = table[name]
            op = getattr(op, '_command', op)
            args = {k: v.required for k, v in op.create_help_command().arg_table.items() if k not in GLOBAL}
            required = sorted(k + '!' for k, r in args.items() if r)
            out.write(name + ': ' + ' '.join(required + sorted(k for k, r in args.items() if not r)) + '\n')


def shorthand():
    cases = []
    for text in open('shorthand.txt').read().splitlines():
        try:
            cases.append({'text': text, 'value': ShorthandParser().parse(text)})
        except Exception:
            cases.append({'text': text, 'error': True})
    with open('shorthand.json', 'w') as out:
        json.dump(cases, out, indent=1)


class Stop(Exception):
    pass


def commands():
    emit = botocore.client.BaseClient._emit_api_params
    seen = {}

    def stop(self, *args, **kwargs):
        seen['params'] = emit(self, *args, **kwargs)
        raise Stop()

    botocore.client.BaseClient._emit_api_params = stop
    cases = []
    for line in open('commands.txt').read().splitlines():
        if not line.strip() or line.startswith('#'):
            continue
        seen.clear()
        create_clidriver().main(['ec2'] + shlex.split(line))  # a new one: drivers keep checks of the last command
        if 'params' not in seen:
            sys.exit('not accepted: ' + line)
        seen['params'].pop('ClientToken', None)  # random
        cases.append({'line': line, 'params': seen['params']})
    with open('commands.json', 'w') as out:
        json.dump(cases, out, indent=1, default=lambda b: base64.b64encode(b).decode())


def queries():
    cases = []
    for line in open('queries.txt').read().splitlines():
        output, query = line.split(' ', 1)
        args = argparse.Namespace(query=jmespath.compile(query), color='off')
        out = io.StringIO()
        get_formatter(output, args)('describe-instances', json.load(open('answer.json')), out)
        cases.append({'output': output, 'query': query, 'printed': out.getvalue()})
    with open('queries.json', 'w') as out:
        json.dump(cases, out, indent=1)


flags(create_clidriver())
shorthand()
commands()
queries()
