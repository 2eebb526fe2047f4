/** Login page. */
export const login = {
  'login.title': ['登录', 'Sign in'],
  'login.community': ['县域医共体影像与心电共享诊断中心', 'Shared diagnostic centre of the county medical community'],
  'login.slogan': ['乡镇检查，县级诊断，结果互认', 'Taken in the township. Read in the county. Recognised everywhere.'],
  'login.account': ['账号', 'Account'],
  'login.password': ['密码', 'Password'],
  'login.submit': ['登录', 'Sign in'],
  'login.busy': ['正在登录', 'Signing in'],
  'login.hint': ['忘记密码请联系本机构管理员。所有访问均有记录。', "Forgot it? Ask your institution's administrator. Every access is logged."],
  'login.empty': ['填写账号和密码', 'Enter account and password'],
  'login.wrong': ['账号或密码不对', 'Account or password is wrong'],
  'login.offline': ['连不上中心，检查网络后重试', 'The centre cannot be reached. Check the network, then retry.'],
  'login.retry': ['{n} s 后再试', 'Retry in {n} s'],
} as const;
